// Package checks is the meaning of helo-milter: what is known of a client (facts), what is wrong with it
// (rules and their findings), and what to do about it (policy and its verdict).
//
// # How a client flows through it
//
//	Session ──Lookup──► Facts ──Evaluate──► Findings ──Policy.Decide──► Verdict ──Decision.Record──► Record
//	                                                                       └──► Reply, Header
//
// A [Session] is the one way through: [Judge.Open] for a client that is connected now, [Judge.Reopen] for
// facts that were recorded. The milter, check, selftest, replay and report are its adapters. Each arrow can
// also be called by itself: [Lookup] asks the DNS, [Evaluate] asks every rule about every greeting,
// [Policy.Decide] weighs the findings, and reply, header and record are functions of the verdict.
//
// [Session.Answer] is another way out, for the help mailbox: what the client would hear, as a reply, without a decision.
//
// Only lookup.go, ask.go and ask_spf.go do I/O. All else is a pure function of plain data that survives JSON unchanged,
// so that a decision log, read again, gives the same verdict to the byte.
//
// A lookup is first attempted with what a cache has, since nearly all of them end there, and takes goroutines and
// a budget only where an answer is missing: lookups.attempt.
//
// What a session makes us ask is bounded, and shared out so that no greeting hides another: budget.go.
//
// The DNS has three answers, never two ([Status]): found, missing, and failed. A rule sees a failed answer as
// an empty one; [Rule] says how that becomes unsure instead of fail, which happens in one place, the
// evaluator. What was proven by one answer is not undone by another that failed.
//
// What the DNS has proven clears. Whose name the HELO is, is asked in one place, [Case.Proven], for all rules that are
// about that: those with [Proof] among their Clears.
//
// # How to add a rule
//
//  1. A row in the table [All] (rules.go, or ptr_rules.go for reverse DNS), where its place settles ties: the name, what is wrong as a clause without a
//     full stop, what to change as a sentence, the reply, an action for each profile, the forms of HELO that it looks
//     at, and what it reads and what clears. Its score is 0, or 5 if it refuses in careful, until integration/accuracy
//     has measured it. A comment in it says which good sender it could refuse, and what clears him.
//
//  2. Its function, pure and of at most 8 lines, in helo_rules.go or ptr_rules.go: what is wrong in the case's own
//     words, or "". A rule whose form says it all uses said.
//
//  3. Lines in the tables of the tests: in TestJudge (checks_test.go) a client that fails, one that passes, and one
//     whose lookup failed; in TestAdviceCures (advice_test.go) one that the advice cures; the row's actions, score
//     and reply in TestTable (reply_test.go).
//
//  4. What lists the rules is written by
//
//     go test ./cmd/helo-milter ./cmd/helo-milter/internal/config ./integration/accuracy -update
//
//     which is the table of README.md here, the default configuration, reports and "check --all". Read git diff: a rule with an
//     action that is not off stands in the outputs of other clients, too.
//
// Nothing else: the key in [rules] and [scores], the header token, the metric label and the log value are the
// name.
package checks
