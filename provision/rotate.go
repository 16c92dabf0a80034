package provision

import (
	"context"
	"errors"
	"fmt"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/provision/control"
	"github.com/tenantops/reconciler/state"
)

// Rotated is a database whose tokens were replaced.
type Rotated struct {
	Tenant protocol.TenantID
	URL    string
	CutOff string // who loses access, for people
}

// cutOff is who is cut off by a rotation.
const cutOff = "every client with a token of the database that it did not get from the tenant router; the router's connections follow by themselves"

// Rotate makes every token of a tenant's database invalid and gives the router
// a new one, for a reason. It gives ErrNotPlaced for a database that was not
// made on a server.
func (s *Service) Rotate(ctx context.Context, id protocol.TenantID, reason string) (Rotated, error) {
	defer s.Lock(id)()
	t, err := s.tenant(ctx, id)
	if err != nil {
		return Rotated{}, err
	}
	at, err := s.Provider.Locate(t.ID, t.Spec.ConnectionConfig)
	if err != nil {
		return Rotated{}, err
	}
	err = fmt.Errorf("%w: %s", ErrNotPlaced, at.URL)
	if placer, ok := s.Provider.(Placer); ok {
		_, err = placer.Rotate(ctx, at, s.event(state.EventRotated, t, reason, at.URL+"; cut off is "+cutOff))
	}
	if own := t.Spec.ConnectionConfig; errors.Is(err, ErrNotPlaced) && own != nil && own.AuthToken != "" {
		err = fmt.Errorf("%w (replace what its connectionConfig.authToken refers to, where it was issued)", err)
	}
	if errors.Is(err, control.ErrCutOff) || errors.Is(err, database.ErrAway) { // what was done before the answer was lost is not known
		err = fmt.Errorf("%w (run it again: until then the reconciler may have no valid token either)", err)
		err = errors.Join(err, s.lookAgain(ctx, id, func(*state.Observed) {}))
	}
	if err != nil {
		return Rotated{}, fmt.Errorf("rotate the tokens of tenant %q: %w", id, err)
	}
	s.OnChange(id)
	return Rotated{Tenant: id, URL: at.URL, CutOff: cutOff}, nil
}
