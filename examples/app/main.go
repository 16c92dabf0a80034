// Command app is a web server of the example company: each customer sees the
// accounts in a database of its own. It shows all that an application needs to
// serve tenants that the reconciler keeps.
//
//	make run ONCE=1
//	go run ./examples/app --data .reconciler/demo
//	curl http://fjord-cycles.localhost:8081/accounts
//	curl -H 'X-Tenant-ID: harbor-legal' -d '{"name": "Lund & Partners"}' http://localhost:8081/accounts
//
// Subdomain and header are believed, which is right on a laptop, or behind a
// gateway that has checked who asks. In production add the strategy token.
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/tenantrouter"
	"github.com/tenantops/reconciler/tenantrouter/identity"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "app:", err)
		os.Exit(1)
	}
}

// run serves until the context ends. It prints the address that it listens on.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	flags := flag.NewFlagSet("app", flag.ContinueOnError)
	data := flags.String("data", ".reconciler/demo", "the reconciler's data `directory`")
	address := flags.String("listen", "127.0.0.1:8081", "`address` to serve on")
	if err := flags.Parse(args); err != nil {
		return err
	}
	gateway, closeAll, err := open(ctx, *data, slog.New(slog.NewTextHandler(stderr, nil)))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeAll()) }()
	listener, err := net.Listen("tcp", *address)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler(gateway), ReadHeaderTimeout: 5 * time.Second}
	fmt.Fprintf(stdout, "listening on http://%s\n", listener.Addr())
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return server.Shutdown(ending)
}

// open finds tenants in the reconciler's state, and their databases in its
// data directory.
func open(ctx context.Context, data string, log *slog.Logger) (_ *tenantrouter.Gateway, closeAll func() error, err error) {
	files, err := tenantrouter.New(tenantrouter.Config{DataDir: data})
	if err != nil {
		return nil, nil, err
	}
	strategies := []protocol.TenantResolverStrategy{protocol.ResolveSubdomain, protocol.ResolveHeader}
	who, err := identity.New(identity.Config{Strategies: strategies, Optional: strategies, Domains: []string{"localhost"}})
	if err != nil {
		return nil, nil, err
	}
	records, err := tenantrouter.OpenState(ctx, data)
	if err != nil {
		return nil, nil, err
	}
	gateway, err := tenantrouter.Open(tenantrouter.Options{Records: records, Files: files, Identity: who, Log: log})
	if err != nil {
		return nil, nil, errors.Join(err, records.Close())
	}
	return gateway, func() error { return errors.Join(gateway.Close(), records.Close(), who.Close()) }, nil
}

// handler is the application. What Middleware lets in has a tenant.
func handler(gateway *tenantrouter.Gateway) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", answering(about))
	mux.HandleFunc("GET /accounts", answering(accounts))
	mux.HandleFunc("POST /accounts", answering(addAccount))
	return tenantrouter.Middleware(gateway)(mux)
}

// answering makes a handler of what answers a tenant's request.
func answering(answer func(*http.Request, *tenantrouter.Tenant) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		tenant, err := tenantrouter.FromContext(r.Context())
		if err != nil {
			tenantrouter.WriteError(w, err)
			return
		}
		value, err := answer(r, tenant)
		if errors.Is(err, errName) {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		} else if err != nil {
			tenantrouter.WriteError(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(value); err != nil {
			return // the reader went away
		}
	}
}

// about tells who asks, and which version of the bundle the tenant has.
func about(_ *http.Request, tenant *tenantrouter.Tenant) (any, error) {
	return map[string]any{"tenant": tenant.TenantID, "plan": tenant.TenantPlan, "revision": tenant.Schema.Revision}, nil
}

type account struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

func accounts(r *http.Request, tenant *tenantrouter.Tenant) (any, error) {
	rows, err := tenant.Query(r.Context(), "SELECT id, name FROM crm_account ORDER BY name")
	if err != nil {
		return nil, err
	}
	all := []account{}
	for _, row := range rows.Values {
		all = append(all, account{ID: row[0].(string), Name: row[1].(string)})
	}
	return all, nil
}

var errName = errors.New(`send an account as {"name": "..."}`)

// addAccount adds an account, in a transaction as for more than one row.
func addAccount(r *http.Request, tenant *tenantrouter.Tenant) (any, error) {
	var added account
	if err := json.NewDecoder(io.LimitReader(r.Body, 4096)).Decode(&added); err != nil || added.Name == "" {
		return nil, errName
	}
	added.ID = strings.ToLower(rand.Text())
	conn, err := tenant.Conn(r.Context())
	if err != nil {
		return nil, err
	}
	defer conn.Close() // rolls back what is not committed
	if _, err := conn.Exec(r.Context(), "BEGIN IMMEDIATE"); err != nil {
		return nil, err
	}
	if _, err := conn.Exec(r.Context(), "INSERT INTO crm_account (id, name) VALUES (?, ?)", added.ID, added.Name); err != nil {
		return nil, err
	}
	if _, err := conn.Exec(r.Context(), "COMMIT"); err != nil {
		return nil, err
	}
	return added, nil
}
