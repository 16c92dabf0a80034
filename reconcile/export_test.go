package reconcile

// Workers is workers, for which there is no way to look from outside.
var Workers = (*Reconciler).workers

// Jittered is jittered.
var Jittered = jittered
