// Package dnscache is a caching stub resolver with the shape of *net.Resolver.
//
// It asks the configured recursive servers and nobody else: no hosts file, no search list, every
// name is absolute. Each question goes upstream once however many callers ask it at the same time,
// and its answer, good or bad, is kept for as long as the DNS allows.
package dnscache
