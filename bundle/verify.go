package bundle

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/protocol/shape"
)

// Bounds of what an app asks of the tenants that use it.
const (
	maxQueries   = 20   // of one app: each may take its time in every tenant
	maxQuerySize = 8192 // bytes
)

// Verification is a query of an app that must give no row in a tenant's
// database. It is asked after a deployment.
type Verification struct {
	App  string
	Name string // of the query within the app; its place, from 1, without a name
	SQL  string // one statement, which reads
}

// String names the query for people: crm/orders_have_customers.
func (v Verification) String() string { return v.App + "/" + v.Name }

// appManifest is app.yaml: the protocol's manifest with our own key, which does
// not reach the registry.
type appManifest struct {
	protocol.AppManifest
	Verify []verifyEntry `json:"verify,omitzero" doc:"Queries that must give no row in the database of a tenant after a deployment."`
}

// verifyEntry is a query, by itself or with a name.
type verifyEntry struct{ shape.Union }

// Alternatives are the two forms.
func (verifyEntry) Alternatives() []any { return []any{"", verifyQuery{}} }

type verifyQuery struct {
	Name string `json:"name" shape:"format=identifier" doc:"What it is called where it fails."`
	SQL  string `json:"sql" shape:"minlen=1" doc:"One SELECT."`
}

// verification is a query and where it stands.
type verification struct {
	Verification
	document config.Document
	at       []any
}

func (v verification) fault(code, message, next string) Fault {
	return v.document.Error(v.at, code, message, next)
}

// verifications reads the queries of an app and refuses what can be refused
// without a database.
func (a *app) verifications(entries []verifyEntry) {
	if len(entries) > maxQueries {
		a.faults = append(a.faults, a.document.Error([]any{"verify", maxQueries}, codeTooManyQueries,
			fmt.Sprintf("the app has %d queries, more than %d", len(entries), maxQueries), "put several into one with UNION ALL"))
		return
	}
	names := map[string]bool{}
	for i, e := range entries {
		v := verification{document: a.document, at: []any{"verify", i}, Verification: Verification{App: a.name, Name: fmt.Sprint(i + 1)}}
		switch query := e.Value.(type) {
		case string:
			v.SQL = query
		case verifyQuery:
			v.Name, v.SQL, v.at = query.Name, query.SQL, []any{"verify", i, "sql"}
		}
		if names[v.Name] {
			a.faults = append(a.faults, a.document.Error([]any{"verify", i, "name"}, codeVerify,
				fmt.Sprintf("there are two queries %q", v.Name), "rename one"))
		}
		names[v.Name] = true
		if wrong := misread(v.SQL); wrong != "" {
			a.faults = append(a.faults, v.fault(codeVerify, wrong, "write one SELECT that gives the rows which are wrong"))
			continue
		}
		a.part.verify = append(a.part.verify, v)
	}
}

// misread says why a text is not one statement that may read. What the
// statement does is for the database to say.
func misread(sql string) string {
	if len(sql) > maxQuerySize {
		return fmt.Sprintf("the query has %d bytes, more than %d", len(sql), maxQuerySize)
	}
	statements, err := database.Split(sql)
	switch {
	case err != nil:
		return "the query cannot be read: " + err.Error()
	case len(statements) != 1:
		return fmt.Sprintf("the text holds %d statements, not one", len(statements))
	}
	tokens, err := database.Tokens(statements[0])
	if err != nil || !slices.ContainsFunc([]string{"SELECT", "WITH", "VALUES"}, tokens[0].Is) {
		return "the statement is not a SELECT"
	}
	return ""
}

// verifications collects the queries of all parts, and asks what a database
// with the objects would say to them.
func (c *composition) verifications(readable func([]Object, []Verification) []error) {
	for _, p := range c.parts {
		c.verify = append(c.verify, p.verify...)
	}
	if readable == nil || len(c.verify) == 0 || config.HasErrors(c.faults) {
		return
	}
	typed := make([]Object, len(c.objects))
	for i, o := range c.objects {
		typed[i] = o.Object
	}
	for i, err := range readable(typed, queriesOf(c.verify)) {
		if err != nil {
			c.faults = append(c.faults, c.verify[i].fault(codeVerify, "the database does not run the query: "+err.Error(),
				"use the tables and columns that the app's objects have"))
		}
	}
}

func queriesOf(list []verification) []Verification {
	var queries []Verification
	for _, v := range list {
		queries = append(queries, v.Verification)
	}
	return queries
}

// verifyDigest tells sets of queries apart; it is empty for none.
func verifyDigest(queries []Verification) string {
	if len(queries) == 0 {
		return ""
	}
	h := sha256.New()
	for _, q := range queries {
		fmt.Fprintf(h, "%s\x00%s\x00%s\x00", q.App, q.Name, q.SQL)
	}
	return hex.EncodeToString(h.Sum(nil))
}
