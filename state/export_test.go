package state

// OpenConn opens a store on a connection that a test has prepared.
var OpenConn = open
