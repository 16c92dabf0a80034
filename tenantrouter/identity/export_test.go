package identity

// LookAtOnce makes a Resolver look at its key file for each token.
func LookAtOnce(r *Resolver) { r.tokens.keys.(*keyFile).every = 0 }
