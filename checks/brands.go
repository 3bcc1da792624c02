package checks

// brand is a well-known mail provider whose name is worth lying about.
type brand struct {
	domains []string // organisational domains that a HELO of its hosts may be in
	hosts   []string // organisational domains in which its hosts are besides
}

func (b *brand) has(name string) bool {
	return underAny(name, b.domains) || underAny(name, b.hosts)
}

// brands is as the providers' published SPF records and the HELO names of their outgoing servers had
// it in November 2026.
var brands = []brand{
	{
		domains: []string{"gmail.com", "googlemail.com", "google.com"},
		hosts:   []string{"1e100.net", "googleusercontent.com"},
	},
	{
		domains: []string{
			"microsoft.com", "outlook.com", "hotmail.com", "hotmail.co.uk", "hotmail.fr", "live.com",
			"msn.com", "office365.com",
		},
	},
	{
		domains: []string{
			"yahoo.com", "yahoo.co.uk", "yahoo.fr", "yahoo.de", "yahoo.it", "yahoo.es", "yahoo.ca",
			"yahoo.co.in", "yahoo.com.br", "ymail.com", "rocketmail.com", "aol.com", "aim.com",
		},
		hosts: []string{"yahoodns.net", "yahooinc.com"},
	},
	{domains: []string{"yahoo.co.jp"}, hosts: []string{"yahoodns.jp"}},
	{domains: []string{"apple.com", "icloud.com", "me.com", "mac.com"}},
	{domains: []string{"amazon.com", "amazonses.com"}, hosts: []string{"amazonaws.com"}},
	{domains: []string{"facebook.com", "facebookmail.com", "fb.com", "instagram.com"}},
	{domains: []string{"paypal.com"}, hosts: []string{"ebay.com"}},
	{domains: []string{"ebay.com"}, hosts: []string{"paypal.com"}},
	{domains: []string{"proton.me", "protonmail.com", "protonmail.ch"}},
	{domains: []string{"gmx.net", "gmx.de", "gmx.com", "web.de"}, hosts: []string{"mail.com", "ui-dns.com"}},
	{domains: []string{"mail.ru"}, hosts: []string{"mail-ru.net", "vk.team"}},
	{domains: []string{"yandex.ru", "yandex.com", "yandex.net"}},
	{domains: []string{"qq.com", "163.com", "126.com"}},
}

// brandOf returns the provider in whose domain a name is, on label boundaries, or nil.
func brandOf(name string) *brand {
	for i := range brands {
		if underAny(name, brands[i].domains) {
			return &brands[i]
		}
	}
	return nil
}
