package libsql

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"github.com/tenantops/reconciler/internal/database"
)

// Result codes of sqlite.org/rescode.html. The low byte of an extended code is
// its primary code.
const (
	codeOK         = 0
	codeError      = 1
	codePermission = 3
	codeBusy       = 5
	codeLocked     = 6
	codeReadOnly   = 8
	codeIO         = 10
	codeCorrupt    = 11
	codeFull       = 13
	codeCantOpen   = 14
	codeConstraint = 19
	codeAuth       = 23
	codeNotADB     = 26
	codeRow        = 100
	codeDone       = 101

	codeIOCorrupt = codeIO | 33<<8 // the file system says that the file is damaged
)

// sentinels maps primary codes to what a caller can match.
var sentinels = map[int]error{
	codePermission: database.ErrPermission,
	codeBusy:       database.ErrBusy,
	codeLocked:     database.ErrBusy,
	codeReadOnly:   database.ErrReadOnly,
	codeCorrupt:    database.ErrCorrupt,
	codeFull:       database.ErrFull,
	codeAuth:       database.ErrPermission,
	codeNotADB:     database.ErrNotADB,
}

// systemSentinels says more about the codes that blame the system: a file that
// cannot be opened, and input or output that failed.
var systemSentinels = map[syscall.Errno]error{
	syscall.ENOENT: database.ErrMissing,
	syscall.EACCES: database.ErrPermission,
	syscall.EPERM:  database.ErrPermission,
	syscall.EROFS:  database.ErrReadOnly,
	syscall.ENOSPC: database.ErrFull,
	syscall.EDQUOT: database.ErrFull,
	syscall.EFBIG:  database.ErrFull,
}

// constraints maps extended codes to the kinds of database.ConstraintError.
var constraints = map[int]string{
	codeConstraint | 1<<8:  "check",
	codeConstraint | 3<<8:  "foreignkey",
	codeConstraint | 5<<8:  "notnull",
	codeConstraint | 6<<8:  "primarykey",
	codeConstraint | 8<<8:  "unique",
	codeConstraint | 10<<8: "primarykey", // a rowid, which is an INTEGER PRIMARY KEY
}

// fault makes an error of an extended result code, the database's text for it
// and the error number of the last system call.
func fault(code int, text string, system syscall.Errno) error {
	primary := code & 0xff
	switch primary {
	case codeError:
		return errors.New(text)
	case codeConstraint:
		return constraintFault(code, text)
	case codeIO, codeCantOpen:
		if sentinel := systemSentinels[system]; sentinel != nil {
			return fmt.Errorf("%w: %s (code %d): %w", sentinel, text, code, system)
		}
		if code == codeIOCorrupt {
			return fmt.Errorf("%w: %s (code %d)", database.ErrCorrupt, text, code)
		}
		return fmt.Errorf("%s (code %d): %w", text, code, system)
	}
	if sentinel := sentinels[primary]; sentinel != nil {
		return fmt.Errorf("%w: %s (code %d)", sentinel, text, code)
	}
	return fmt.Errorf("%s (code %d)", text, code)
}

// constraintFault reads the table and columns off texts like "UNIQUE
// constraint failed: orders.tenant, orders.number". The other forms name an
// index, a check or nothing, and stay in the text.
func constraintFault(code int, text string) error {
	e := &database.ConstraintError{Kind: "other", Err: errors.New(text)}
	if kind, known := constraints[code]; known {
		e.Kind = kind
	}
	_, columns, _ := strings.Cut(text, " constraint failed: ")
	table, _, qualified := strings.Cut(columns, ".")
	if e.Kind == "check" || !qualified || strings.HasPrefix(columns, "index '") {
		return e
	}
	e.Table = table
	for column := range strings.SplitSeq(columns, ", ") {
		e.Columns = append(e.Columns, strings.TrimPrefix(column, table+"."))
	}
	return e
}

// pathFault makes an error of what the system says about a path.
func pathFault(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: %w", database.ErrMissing, err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: %w", database.ErrPermission, err)
	}
	var system syscall.Errno
	if errors.As(err, &system) && systemSentinels[system] != nil {
		return fmt.Errorf("%w: %w", systemSentinels[system], err)
	}
	return err
}
