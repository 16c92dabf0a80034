package provision

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/protocol/shape"
	"github.com/tenantops/reconciler/state"
)

// ProvisionTenant implements protocol.ProvisioningService. An organisation has
// one tenant by this way: its request again gives the tenant as it is.
func (s *Service) ProvisionTenant(ctx context.Context, r protocol.TenantProvisioningRequest) (protocol.TenantProvisioningResult, error) {
	return s.SignUp(ctx, "", r)
}

// SignUp provisions the tenant that a request asks for, at once, and leaves it
// to a Committer to bring it to git: until then it is pending, and never taken
// for one that git no longer has. A key makes repeating safe: with another
// request it gives ErrKeyReused; empty for none.
//
// A request that makes no sense matches ErrRequest. A tenant that could not be
// brought up is no error: the result says so, and asking again tries again.
func (s *Service) SignUp(ctx context.Context, key string, r protocol.TenantProvisioningRequest) (protocol.TenantProvisioningResult, error) {
	r, sum, err := normal(r)
	if err != nil {
		return protocol.TenantProvisioningResult{}, err
	}
	t, err := s.register(ctx, key, sum, r)
	if err != nil {
		return protocol.TenantProvisioningResult{}, err
	}
	defer s.Lock(t.ID)()
	if t, err = s.tenant(ctx, t.ID); err != nil { // as whoever had the lock has left it
		return protocol.TenantProvisioningResult{}, err
	}
	if t.Status == protocol.TenantProvisioning || t.Status == protocol.TenantFailed {
		err = s.bringUp(ctx, &t)
	}
	if t.PendingCommit() {
		s.OnPending()
	}
	result, located := s.result(t)
	if err != nil {
		result.Error = err.Error()
		err = ctx.Err()
	}
	return result, errors.Join(err, located)
}

// normal fills in a request's defaults and gives it a digest.
func normal(r protocol.TenantProvisioningRequest) (protocol.TenantProvisioningRequest, string, error) {
	r, err := parsed(r)
	if err == nil {
		err = writable(r)
	}
	var text []byte
	if err == nil {
		text, err = json.Marshal(r)
	}
	if err != nil {
		return r, "", fmt.Errorf("%w: %w", ErrRequest, err)
	}
	sum := sha256.Sum256(text)
	return r, hex.EncodeToString(sum[:]), nil
}

// parsed checks a request against the protocol, which tells an absent key from
// an empty one as Go does not.
func parsed(r protocol.TenantProvisioningRequest) (protocol.TenantProvisioningRequest, error) {
	text, err := json.Marshal(r)
	if err != nil {
		return r, err
	}
	var said map[string]any
	if err := json.Unmarshal(text, &said); err != nil {
		return r, err
	}
	maps.DeleteFunc(said, func(_ string, value any) bool { return value == "" })
	r, report := shape.Parse[protocol.TenantProvisioningRequest](said, shape.Strip)
	return r, report.Err()
}

// maxName bounds the names of a request, in bytes; those of people and companies
// are shorter.
const maxName = 255

// writable refuses what cannot stand in a tenant.yaml.
func writable(r protocol.TenantProvisioningRequest) error {
	for key, name := range map[string]string{"orgId": r.OrgID, "displayName": r.DisplayName} {
		if len(name) > maxName || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
			return fmt.Errorf("%s: is to be text of at most %d bytes, without control characters", key, maxName)
		}
	}
	if text, err := json.Marshal(r.Metadata); err != nil || bytes.Contains(text, []byte(`\u0000`)) {
		return errors.Join(errors.New("metadata: has text with a zero byte, which cannot be kept"), err)
	}
	return nil
}

// register records the tenant of a request, with an id of its own, if it is not
// recorded yet.
func (s *Service) register(ctx context.Context, key, sum string, r protocol.TenantProvisioningRequest) (state.Tenant, error) {
	s.signUps.Lock()
	defer s.signUps.Unlock()
	if key != "" {
		before, found, err := s.Store.SignUp(ctx, key)
		if err != nil {
			return state.Tenant{}, err
		}
		if found && before.Request != sum {
			return state.Tenant{}, fmt.Errorf("%w: it stands for tenant %q", ErrKeyReused, before.Tenant)
		}
		if found {
			return s.tenant(ctx, before.Tenant)
		}
	}
	t, err := s.identify(ctx, r)
	if err != nil {
		return t, err
	}
	if t.Status == "" {
		if t, err = s.newTenant(ctx, t.ID, r); err != nil {
			return t, err
		}
		if err := s.Store.SaveTenants(ctx, t); err != nil {
			return t, err
		}
	}
	if key != "" {
		err = s.Store.AddSignUp(ctx, state.SignUp{Key: key, Request: sum, Tenant: t.ID, At: s.Now()})
	}
	return t, err
}

// identify returns the tenant of an organisation, or one that has nothing but
// the id that it will have: the organisation's, as far as an id can be that, and
// told apart by a digest where another one has it.
func (s *Service) identify(ctx context.Context, r protocol.TenantProvisioningRequest) (state.Tenant, error) {
	sum := sha256.Sum256([]byte(r.OrgID))
	plain := idOf(r.OrgID)
	told := strings.Trim(plain[:min(len(plain), 54)], "-") + "-" + hex.EncodeToString(sum[:4])
	for _, id := range []string{plain, strings.TrimPrefix(told, "-")} {
		if id == "" {
			continue
		}
		t, err := s.tenant(ctx, protocol.TenantID(id))
		switch {
		case isUnknown(err):
			if taken, err := s.Fleet.Has(ctx, protocol.TenantID(id)); err != nil || !taken {
				return state.Tenant{ID: protocol.TenantID(id)}, err
			}
		case err != nil:
			return t, err
		case t.Spec.OrgID == r.OrgID:
			return t, nil
		}
	}
	return state.Tenant{}, fmt.Errorf("%w: organisation %q has no id left", ErrRequest, r.OrgID)
}

var notInID = regexp.MustCompile(`[^a-z0-9]+`)

// idOf makes what can be an id of an organisation's.
func idOf(organisation string) string {
	id := strings.Trim(notInID.ReplaceAllString(strings.ToLower(organisation), "-"), "-")
	return strings.Trim(id[:min(len(id), 63)], "-")
}

// newTenant is a tenant that is recorded for the first time.
func (s *Service) newTenant(ctx context.Context, id protocol.TenantID, r protocol.TenantProvisioningRequest) (state.Tenant, error) {
	c, err := s.Fleet.Config(ctx)
	if err != nil {
		return state.Tenant{}, err
	}
	spec := specOf(id, r, c.SignUp)
	composed, err := s.Fleet.Compose(ctx, spec)
	if err != nil {
		return state.Tenant{}, err
	}
	return state.Tenant{
		ID: id, Spec: composed.Spec, Quotas: composed.Quotas, Origin: state.FromSignUp,
		Lifecycle: state.Lifecycle{Status: protocol.TenantProvisioning, StatusSince: s.Now()},
	}, nil
}

// specOf is the tenant.yaml of a request.
func specOf(id protocol.TenantID, r protocol.TenantProvisioningRequest, c config.SignUp) bundle.TenantSpec {
	spec := bundle.TenantSpec{
		ID: string(id), Name: cmp.Or(r.DisplayName, r.OrgID), OrgID: r.OrgID, Plan: r.Plan, Region: r.Region,
		ProvisioningStatus: protocol.TenantActive, Labels: c.Labels, Apps: []bundle.AppRef{},
	}
	if spec.Labels == nil {
		spec.Labels = map[string]string{}
	}
	for _, app := range c.Apps {
		spec.Apps = append(spec.Apps, bundle.AppRef{Name: app.Name, Version: app.Version})
	}
	if r.AdminEmail != "" || len(r.Metadata) > 0 {
		spec.Customizations = map[string]any{}
		if r.AdminEmail != "" {
			spec.Customizations["adminEmail"] = r.AdminEmail
		}
		if len(r.Metadata) > 0 {
			spec.Customizations["metadata"] = r.Metadata
		}
	}
	return spec
}

// Recover provisions the tenant of a sign-up that did not come to its end, if
// git does not have it yet.
func (s *Service) Recover(ctx context.Context, id protocol.TenantID) error {
	defer s.Lock(id)()
	t, err := s.tenant(ctx, id)
	if err != nil || !t.PendingCommit() || !t.RemovedAt.IsZero() || t.Status == protocol.TenantActive || t.Status == protocol.TenantSuspended {
		return err
	}
	return s.bringUp(ctx, &t)
}

// bringUp provisions a tenant that is recorded, without git.
func (s *Service) bringUp(ctx context.Context, t *state.Tenant) error {
	c, err := s.Fleet.Config(ctx)
	if err != nil {
		return err
	}
	composed, err := s.Fleet.Compose(ctx, t.Spec)
	if err != nil {
		return err
	}
	return s.Provision(ctx, t, c, func(ctx context.Context, conn database.Conn) error {
		if conn == nil {
			at, err := s.Provider.Locate(t.ID, t.Spec.ConnectionConfig)
			if err != nil {
				return err
			}
			if conn, err = s.Provider.Open(ctx, at, false); err != nil {
				return err
			}
		}
		result := s.deploy(ctx, conn, composed.Request)
		if err := errors.Join(result.Err, conn.Close()); err != nil {
			return err
		}
		return s.observe(ctx, *t, composed.Request, result)
	})
}

func (s *Service) deploy(ctx context.Context, conn database.Conn, q deploy.Request) deploy.Result {
	q.Fresh = true
	return s.Deployer.Deploy(ctx, conn, q)
}

// observe records what was deployed, as a pass would that found it so. Without
// an input digest the next pass looks for itself.
func (s *Service) observe(ctx context.Context, t state.Tenant, q deploy.Request, r deploy.Result) error {
	row := state.Observed{
		Tenant: t.ID, Sync: state.Synced, Health: state.Healthy, Revision: q.Revision, AppliedRevision: q.Revision,
		DesiredDigest: q.Desired.Digest, BundleDigest: q.Desired.Digest, Fingerprint: r.Fingerprint,
		Deployment: r.DeploymentID, Plan: string(t.Spec.Plan), ObservedAt: s.Now(), PurgeAt: r.PurgeAt,
	}
	if r.Changed {
		row.SchemaDigest, row.AppliedDigest = r.Plan.ToSchema, r.Plan.Applied
	}
	return s.Store.SaveObserved(context.WithoutCancel(ctx), row)
}

// result is a tenant as the answer to its request.
func (s *Service) result(t state.Tenant) (protocol.TenantProvisioningResult, error) {
	at, err := s.Provider.Locate(t.ID, t.Spec.ConnectionConfig)
	r := protocol.TenantProvisioningResult{
		TenantID: t.ID, ConnectionURL: at.URL, Status: t.Status, Region: t.Spec.Region, Plan: t.Spec.Plan,
		Steps: []protocol.ProvisioningStep{},
	}
	if t.Operation == opProvision {
		r.Steps = slices.Clone(t.Steps)
	}
	if t.Status == protocol.TenantActive {
		r.ProvisionedAt = stamp(t.StatusSince)
	}
	if total, ok := elapsed(r.Steps); ok {
		r.TotalDurationMs = &total
	}
	return r, err
}

// elapsed is the time from the first step's beginning to the last one's end.
func elapsed(steps []protocol.ProvisioningStep) (int64, bool) {
	if len(steps) == 0 || !ended(steps) {
		return 0, false
	}
	began, err := time.Parse(time.RFC3339Nano, steps[0].StartedAt)
	if err != nil {
		return 0, false
	}
	end, err := time.Parse(time.RFC3339Nano, steps[len(steps)-1].CompletedAt)
	return max(0, end.Sub(began).Milliseconds()), err == nil
}
