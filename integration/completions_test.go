package integration

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// completions are command lines, and what each shell offers there: in a directory with the files inbox and
// new.toml.
var completions = []struct{ line, want, lacks string }{
	{"sel", "selftest", "check"},
	{"--conf", "--config", "--json"},
	{"check --", "--json", "--ham"},
	{"--config new.toml check --r", "--rcpt", "--json"},
	{"check --rcpt ", "", "inbox"}, // an address, not a file
	{"replay in", "inbox", "new.toml"},
	{"replay --ham in", "inbox", "new.toml"},
	{"--config new", "new.toml", "inbox"},
	{"check --config=new", "new.toml", "inbox"},
	{"--config new.toml ru", "rules", "check"},
}

// shells print what they offer for each line, one offer a line, after the line itself.
var shells = map[string]string{
	"bash": `source "$1/helo-milter.bash"; shift
for line; do
	echo "> $line"
	spaced=${line//=/ = }
	COMP_WORDS=(helo-milter $spaced)
	[[ $line != *\  ]] || COMP_WORDS+=("")
	COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMPREPLY=()
	_helo_milter
	printf '%s\n' "${COMPREPLY[@]}"
done`,
	"fish": `set dir $argv[1]; set -e argv[1]
source $dir/helo-milter.fish
for line in $argv
	echo "> $line"
	complete -C "helo-milter $line"
end`,
	// A terminal, since zsh completes nowhere else. What is on the line before the cursor is offered in place of
	// the key; the lists of several have their descriptions.
	"zsh": `zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z "unsetopt beep zle_bracketed_paste; PS1=; LISTMAX=0; COLUMNS=200; fpath=($1 \$fpath)"
zpty -w z "autoload -Uz compinit; compinit -D -u"
zpty -w z "show() { zle -I; print -r -- \"is:\$BUFFER:\"; BUFFER=; }; zle -N show; bindkey '^T' show; print REA''DY"
zpty -r z seen '*READY*'
shift
for line; do
	zpty -w -n z "helo-milter $line"$'\t\x14'
	zpty -r z seen '*is:*:*'
	print -r -- "> $line"
	print -r -- "${seen#*helo-milter $line}"
done
zpty -d z`,
}

func TestCompletions(t *testing.T) {
	dir, err := filepath.Abs("../examples/completions")
	if err != nil {
		t.Fatal(err)
	}
	files := t.TempDir()
	args := []string{dir}
	for _, name := range []string{"inbox", "new.toml"} {
		if err := os.WriteFile(filepath.Join(files, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range completions {
		args = append(args, c.line)
	}
	for shell, script := range shells {
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "script")
			if err := os.WriteFile(file, []byte(script), 0o644); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			command := exec.CommandContext(ctx, shell, append([]string{file}, args...)...)
			command.Dir = files
			command.Env = append(os.Environ(), "HOME="+t.TempDir(), "TERM=dumb")
			out, err := command.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			for _, c := range completions {
				_, offer, _ := strings.Cut("\n"+string(out), "\n> "+c.line+"\n")
				offer, _, _ = strings.Cut("\n"+offer, "\n> ")
				if !strings.Contains(offer, c.want) || strings.Contains(offer, c.lacks) {
					t.Errorf("%q: want %q and not %q, got %q", c.line, c.want, c.lacks, offer)
				}
			}
		})
	}
}
