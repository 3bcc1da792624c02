package fleet

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// Debug takes what the library logs: it repeats what we count and log ourselves.
func Debug(log func(text string)) { redis.SetLogger(debug(log)) }

type debug func(text string)

// Printf is the interface of the library's logger.
func (d debug) Printf(_ context.Context, format string, args ...any) { d(fmt.Sprintf(format, args...)) }
