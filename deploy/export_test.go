package deploy

// IsAuthor is tested by a table of its own.
var IsAuthor = isAuthor
