package state

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"

	"github.com/tenantops/reconciler/protocol"
)

// Sighting is what a look for drift needs to know of a tenant.
type Sighting struct {
	Sync            Sync
	Input           string // Observed.InputDigest
	Bundle, Desired string // digests: applied, and asked for at the last pass

	connection string
}

// Connection is how the tenant's database is reached as git said last; nil for
// one that the reconciler keeps.
func (s Sighting) Connection() *protocol.TenantConnectionConfig {
	var c *protocol.TenantConnectionConfig
	if s.connection == "" {
		return nil
	}
	if json.Unmarshal([]byte(s.connection), &c) != nil {
		return nil // what is stored is JSON
	}
	return c
}

// Sightings returns what is known of every tenant that a pass has come to, as
// one moment had it. It reads less than Observed and Tenants do, and is as fast
// as a look at every file. JSON is taken apart where there is a connection in it.
func (s *Store) Sightings(ctx context.Context) (map[protocol.TenantID]Sighting, error) {
	const doing = "read what was seen of tenants"
	rows, err := s.query(ctx, doing, `SELECT CAST(group_concat(o.tenant || char(31) || sync || char(31) || input_digest || char(31) || bundle_digest
 || char(31) || desired_digest || char(31) || coalesce(iif(instr(t.spec, '"connectionConfig"'), json_extract(t.spec, '$.connectionConfig'), ''), ''),
 char(30)) AS BLOB)
 FROM observed o LEFT JOIN tenants t ON t.tenant = o.tenant`)
	if err != nil {
		return nil, err
	}
	blob, _ := rows.Values[0][0].([]byte)
	sightings := make(map[protocol.TenantID]Sighting, bytes.Count(blob, []byte(endRow))+1)
	if len(blob) == 0 {
		return sightings, nil
	}
	for text := range strings.SplitSeq(string(blob), endRow) {
		v := strings.SplitN(text, endValue, 6)
		sightings[protocol.TenantID(v[0])] = Sighting{Sync: Sync(v[1]), Input: v[2], Bundle: v[3], Desired: v[4], connection: v[5]}
	}
	return sightings, nil
}
