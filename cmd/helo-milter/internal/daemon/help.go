package daemon

import (
	"errors"
	"io/fs"
	"time"

	"helo-milter/cmd/helo-milter/internal/config"
	"helo-milter/cmd/helo-milter/internal/help"
)

// checkKeys is an error about a key file that is there.
func checkKeys(c *change) error {
	if c.cfg.Help.KeyFile == "" {
		return nil
	}
	if _, err := help.ReadKeys(c.cfg.Help.KeyFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return &config.KeyError{Key: "help.key_file", Err: err}
	}
	return nil
}

// openKeys reads the key file, or makes it. Without one, there is a key that ends with the daemon.
func (d *Daemon) openKeys(c *change) (err error) {
	cfg := &c.cfg.Help
	switch {
	case cfg.URL == "" && cfg.Listen.Network == "":
		return nil
	case cfg.KeyFile != "":
		if c.keys, err = help.MakeKeys(cfg.KeyFile); err != nil {
			return &config.KeyError{Key: "help.key_file", Err: err}
		}
	case d.keys != nil && d.cfg.Help.KeyFile == "":
		c.keys = d.keys
	default:
		c.keys = help.NewKeys()
	}
	if cfg.URL != "" {
		judge := *c.cfg.Judge
		judge.Help.Link = c.keys.Link(cfg.URL)
		c.cfg.Judge = &judge
	}
	return nil
}

// useHelp puts the page of a change in the place of the one in use.
func (d *Daemon) useHelp(c *change) {
	d.keys = c.keys
	d.page.Configure(&help.Settings{
		Keys: c.keys, Valid: time.Duration(c.cfg.Help.Days) * 24 * time.Hour, Asking: d.asking(c),
	})
	d.help = d.help.next(c.cfg.Help.Listen, c.help, d.page.Serve)
}

// asking is what a test of the page asks with: past the cache, and beside what mail needs.
func (d *Daemon) asking(c *change) *help.Asking {
	return &help.Asking{Judge: c.cfg.Judge, DNS: d.past(c)}
}
