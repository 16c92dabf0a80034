-- A tenant whose try was interrupted is no problem any more.
UPDATE observed SET sync = 'Unknown', health = 'Progressing' WHERE health = 'Degraded' AND reason = 'Interrupted';
