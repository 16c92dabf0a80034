package statetest

import (
	"fmt"
	"sync"

	"github.com/tenantops/reconciler/protocol"
)

var sharing = []exercise{
	{"many goroutines use one store", manyGoroutines},
}

func manyGoroutines(f *fixture) {
	const workers, rounds = 16, 20
	ctx, s := f.Context(), f.store()
	var group sync.WaitGroup
	errs := make(chan error, workers*rounds)
	for w := range workers {
		group.Go(func() {
			tenant := protocol.TenantID(fmt.Sprintf("tenant-%d", w))
			for n := range rounds {
				errs <- func() error {
					if err := s.SaveDeployment(ctx, deployment(tenant, w*rounds+n)); err != nil {
						return err
					}
					if err := s.SaveObserved(ctx, observation(tenant, n)); err != nil {
						return err
					}
					all, err := s.Observed(ctx)
					if err == nil && all[tenant] != observation(tenant, n) {
						err = fmt.Errorf("%s does not see its own row", tenant)
					}
					return err
				}()
			}
		})
	}
	group.Wait()
	close(errs)
	for err := range errs {
		f.must(err)
	}
	for w := range workers {
		list, err := s.Deployments(ctx, protocol.TenantID(fmt.Sprintf("tenant-%d", w)), 0)
		f.must(err)
		f.equal(len(list), rounds)
	}
}
