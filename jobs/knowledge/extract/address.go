package extract

import (
	"fmt"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"

	"millrace/jobs/knowledge"
)

const maxAddress = 2000 // bytes

// CheckAddress refuses, with a *knowledge.FetchError, what no fetch will ever get: other schemes,
// credentials in the address, hosts that are odd spellings of an IP address. It resolves nothing, so
// what it lets pass may be refused when it is dialled.
func CheckAddress(u *url.URL) error {
	refuse := func(format string, args ...any) error {
		return &knowledge.FetchError{Reason: fmt.Sprintf(format, args...), Permanent: true}
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return refuse("the address must begin with http:// or https://")
	case u.User != nil:
		return refuse("the address must not hold a user name or password")
	case u.Hostname() == "":
		return refuse("the address has no host")
	case len(u.String()) > maxAddress:
		return refuse("the address is over %d characters", maxAddress)
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return refuse("the address has no valid port")
		}
	}
	// A host whose last label is a number is an IPv4 address to browsers and to the C library, in
	// any spelling: 2130706433, 0x7f.1, 017700000001.
	host := strings.TrimSuffix(u.Hostname(), ".")
	last := host[strings.LastIndexByte(host, '.')+1:]
	_, anyBase := strconv.ParseUint(last, 0, 64)
	if _, decimal := strconv.ParseUint(last, 10, 64); anyBase == nil || decimal == nil {
		if _, err := netip.ParseAddr(host); err != nil {
			return refuse("the host %s is an IP address in a spelling that is not accepted", knowledge.Line(host, 60))
		}
	}
	return nil
}

var (
	youTubeID = regexp.MustCompile(`^[A-Za-z0-9_-]{11}$`)
	tracking  = regexp.MustCompile(`^(utm_\w+|fbclid|gclid|mc_[ce]id|igshid|ref_src)$`)
)

// YouTubeID is the id of the video that an address shows, or "".
func YouTubeID(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	id := ""
	switch host := strings.TrimPrefix(strings.TrimPrefix(strings.ToLower(u.Hostname()), "www."), "m."); host {
	case "youtu.be":
		id, _, _ = strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	case "youtube.com", "music.youtube.com", "youtube-nocookie.com":
		if id = u.Query().Get("v"); id == "" {
			for _, prefix := range []string{"/shorts/", "/live/", "/embed/", "/v/"} {
				if rest, ok := strings.CutPrefix(u.Path, prefix); ok {
					id, _, _ = strings.Cut(rest, "/")
				}
			}
		}
	}
	if !youTubeID.MatchString(id) {
		return ""
	}
	return id
}

// CanonicalURL is the spelling of an address under which its document is known: no fragment, no
// default port, no tracking parameters, the rest of the query in order. A page's own word on its
// address is not asked: it could name another's. Of a video it is that of its page.
func CanonicalURL(address string) string {
	if id := YouTubeID(address); id != "" {
		return "https://www.youtube.com/watch?v=" + id
	}
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	u.Scheme, u.Host, u.Fragment, u.RawFragment, u.User = strings.ToLower(u.Scheme), strings.ToLower(u.Host), "", "", nil
	if port := u.Port(); port == "80" && u.Scheme == "http" || port == "443" && u.Scheme == "https" {
		u.Host = strings.TrimSuffix(u.Host, ":"+port)
	}
	if u.Path == "" {
		u.Path = "/"
	}
	if query, err := url.ParseQuery(u.RawQuery); err == nil {
		for name := range query {
			if tracking.MatchString(name) {
				query.Del(name)
			}
		}
		u.RawQuery = query.Encode()
	}
	u.ForceQuery = false
	return u.String()
}

// NameOf is the name of the file at an address, or "".
func NameOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || strings.HasSuffix(u.Path, "/") {
		return ""
	}
	if name := path.Base(u.Path); name != "." && name != "/" {
		return name
	}
	return ""
}
