package gitrepo

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"time"

	"github.com/go-git/go-git/v5/plumbing/transport"
	"golang.org/x/net/proxy"
)

// go-git's ssh client waits for the handshake without any deadline: a server
// that accepts and stays silent would hold a fetch for ever. Its one opening
// is the proxy, so ours dials as usual and sets the deadline on the connection.
const deadlineScheme = "deadline"

func init() {
	proxy.RegisterDialerType(deadlineScheme, func(u *url.URL, _ proxy.Dialer) (proxy.Dialer, error) {
		nanoseconds, err := strconv.ParseInt(u.Host, 10, 64)
		return deadlineDialer(time.Unix(0, nanoseconds)), err
	})
}

// dialer makes ssh connections end with ctx's deadline; http obeys ctx itself.
func (r *Repo) dialer(ctx context.Context) transport.ProxyOptions {
	deadline, ok := ctx.Deadline()
	if r.at.scheme != "ssh" || !ok {
		return transport.ProxyOptions{}
	}
	return transport.ProxyOptions{URL: fmt.Sprintf("%s://%d", deadlineScheme, deadline.UnixNano())}
}

type deadlineDialer time.Time

func (d deadlineDialer) Dial(network, addr string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, addr)
}

func (d deadlineDialer) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	ctx, cancel := context.WithDeadline(ctx, time.Time(d))
	defer cancel()
	conn, err := proxy.Dial(ctx, network, addr) // honours ALL_PROXY, as go-git does
	if err != nil {
		return nil, err
	}
	return conn, conn.SetDeadline(time.Time(d))
}
