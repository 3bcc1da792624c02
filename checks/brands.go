package checks

import (
	"slices"
	"strings"
)

// brand is a well-known mail provider, or another company whose name is worth lying about.
type brand struct {
	domains []string // organisational domains that a HELO of its hosts may be in
	hosts   []string // organisational domains in which its hosts are besides
}

// BrandsDate is the month in which the table of well-known providers was last looked through.
const BrandsDate = "2026-11"

// brands has mail providers that everybody can have an address at, and a few companies that phishing
// lives on. What stands here comes from the providers' own pages: the domains that they offer, the names
// that they say their outgoing servers have, and their SPF records. Access providers are not among them,
// because their customers' lines have names in the same domain. Nor are the domains of clouds, in which
// everybody can have a host (1e100.net is Google, googleusercontent.com is Google's customers).
var brands = []brand{
	{
		domains: []string{"gmail.com", "googlemail.com", "google.com"},
		hosts:   []string{"1e100.net"},
	},
	{
		domains: slices.Concat([]string{"microsoft.com", "msn.com", "passport.com", "office.com", "office365.com"},
			national("hotmail", "com co.uk fr de it es nl be se dk no fi gr ch ca cl co.jp co.th co.in co.kr co.id "+
				"com.ar com.au com.br com.hk com.tr com.tw com.vn"),
			national("outlook", "com fr de it es be dk gr pt cz at cl co.id co.th com.ar com.au com.br com.tr ie in "+
				"jp kr my ph sa sg sk"),
			national("live", "com co.uk fr de it es nl be se dk no at ca cl cn ie in jp ru co.kr co.za com.ar com.au "+
				"com.mx com.my com.pt com.sg")),
		hosts: []string{"exchangelabs.com"},
	},
	{
		domains: slices.Concat([]string{
			"ymail.com", "rocketmail.com", "aol.com", "aol.co.uk", "aol.de", "aol.fr", "aim.com", "netscape.net",
			"compuserve.com",
		}, national("yahoo", "com ca cl de dk es fi fr gr ie in it nl no pl pt ro se co.id co.in co.kr co.nz co.th "+
			"co.uk co.za com.ar com.au com.br com.cn com.co com.hk com.mx com.my com.pe com.ph com.sg com.tr com.tw "+
			"com.ve com.vn")),
		hosts: []string{"yahoodns.net", "yahooinc.com", "yahoo.net"},
	},
	{domains: []string{"yahoo.co.jp", "ybb.ne.jp"}, hosts: []string{"yahoo-net.jp", "yahoodns.jp"}},
	{domains: []string{"apple.com", "icloud.com", "me.com", "mac.com"}},
	{
		domains: []string{
			"gmx.net", "gmx.de", "gmx.com", "gmx.at", "gmx.ch", "gmx.fr", "gmx.co.uk", "gmx.us", "web.de",
			"mail.com", "email.com", "usa.com", "post.com", "europe.com", "asia.com", "iname.com", "writeme.com",
			"consultant.com", "engineer.com", "accountant.com", "financier.com", "techie.com", "myself.com",
		},
		hosts: []string{"kundenserver.de", "ionos.com", "1and1.com", "1und1.de", "perfora.net"},
	},
	{domains: []string{"proton.me", "protonmail.com", "protonmail.ch", "pm.me"}, hosts: []string{"proton.ch"}},
	{domains: []string{"tutanota.com", "tutanota.de", "tutamail.com", "tuta.com", "tuta.io", "keemail.me"}},
	{domains: []string{"fastmail.com", "fastmail.fm"}, hosts: []string{"messagingengine.com"}},
	{domains: []string{"hushmail.com", "hush.com"}},
	{domains: []string{"zoho.com", "zohomail.com"}, hosts: []string{"zoho.eu", "zoho.in", "zohomail.eu"}},
	{domains: []string{"juno.com", "netzero.net", "netzero.com"}, hosts: []string{"untd.com"}},
	{domains: []string{"lycos.com", "mailcity.com"}},
	{domains: []string{"excite.com"}},
	{domains: []string{"usa.net"}},
	{
		domains: []string{"mail.ru", "inbox.ru", "list.ru", "bk.ru", "internet.ru"},
		hosts:   []string{"smailru.net", "mail-ru.net", "vk.team"},
	},
	{domains: []string{"yandex.ru", "yandex.com", "yandex.net", "yandex.by", "yandex.kz", "ya.ru"}},
	{domains: []string{"rambler.ru"}, hosts: []string{"rambler-co.ru"}},
	{domains: []string{"ukr.net"}, hosts: []string{"fwdcdn.com"}},
	{domains: []string{"seznam.cz", "email.cz", "post.cz"}},
	{domains: []string{"wp.pl", "o2.pl", "tlen.pl"}},
	{domains: []string{"onet.pl", "op.pl", "onet.eu"}},
	{domains: []string{"libero.it", "virgilio.it"}, hosts: []string{"italiaonline.it", "iol.it"}},
	{domains: []string{"laposte.net"}},
	{domains: []string{"qq.com", "foxmail.com"}, hosts: []string{"tencent.com"}},
	{domains: []string{"163.com", "126.com", "yeah.net", "188.com"}, hosts: []string{"netease.com"}},
	{domains: []string{"sina.com", "sina.cn"}, hosts: []string{"sina.com.cn"}},
	{domains: []string{"sohu.com"}},
	{domains: []string{"aliyun.com"}, hosts: []string{"alibaba.com", "alibaba-inc.com"}},
	{domains: []string{"naver.com"}, hosts: []string{"worksmobile.com", "navercorp.com"}},
	{domains: []string{"daum.net", "hanmail.net", "kakao.com"}},
	{domains: []string{"rediffmail.com"}, hosts: []string{"rediff.com"}},
	{domains: []string{"amazon.com", "amazonses.com"}},
	{domains: []string{"facebook.com", "facebookmail.com", "fb.com", "instagram.com"}},
	{domains: []string{"linkedin.com"}, hosts: []string{"microsoft.com"}},
	{domains: []string{"paypal.com", "ebay.com"}},
}

// national returns the domains of a name under several public suffixes.
func national(name, suffixes string) []string {
	domains := strings.Fields(suffixes)
	for i, suffix := range domains {
		domains[i] = name + "." + suffix
	}
	return domains
}

func (b *brand) has(name string) bool {
	return under(name, b.domains...) || under(name, b.hosts...)
}

// brandByDomain finds the brand of an organisational domain.
var brandByDomain = func() map[string]*brand {
	byDomain := map[string]*brand{}
	for i := range brands {
		for _, d := range brands[i].domains {
			byDomain[d] = &brands[i]
		}
	}
	return byDomain
}()

// brandOf returns the provider that a name's organisational domain belongs to, or nil.
func brandOf(name string) *brand { return brandByDomain[orgDomain(name)] }
