package libsql

import (
	"cmp"
	"errors"
	"fmt"
	"syscall"

	"github.com/tenantops/reconciler/internal/database"
)

// Result codes of sqlite.org/rescode.html. The low byte of an extended code is
// its primary code.
const (
	codeOK         = 0
	codeError      = 1
	codeBusy       = 5
	codeLocked     = 6
	codeReadOnly   = 8
	codeIO         = 10
	codeCorrupt    = 11
	codeFull       = 13
	codeCantOpen   = 14
	codeConstraint = 19
	codeNotADB     = 26
	codeRow        = 100
	codeDone       = 101

	codeReadOnlyDirectory = codeReadOnly | 6<<8 // a journal cannot be made beside the file
)

// sentinels maps codes to what a caller can match; a code that is not here
// means what its primary code does.
var sentinels = map[int]error{
	codeBusy:     database.ErrBusy,
	codeLocked:   database.ErrBusy,
	codeReadOnly: database.ErrReadOnly,
	codeCorrupt:  database.ErrCorrupt,
	codeFull:     database.ErrFull,
	codeNotADB:   database.ErrNotADB,

	codeReadOnlyDirectory: database.ErrPermission,
}

// systemSentinels maps the system's error numbers: those of paths, of files
// that cannot be opened, and of input or output that failed.
var systemSentinels = map[syscall.Errno]error{
	syscall.ENOENT:  database.ErrMissing,
	syscall.ENOTDIR: database.ErrMissing,
	syscall.EACCES:  database.ErrPermission,
	syscall.EPERM:   database.ErrPermission,
	syscall.EROFS:   database.ErrReadOnly,
	syscall.ENOSPC:  database.ErrFull,
	syscall.EDQUOT:  database.ErrFull,
	syscall.EFBIG:   database.ErrFull,
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
// and the error number of the system call that failed, which counts only where
// the code blames the system.
func fault(code int, text string, system syscall.Errno) error {
	primary := code & 0xff
	sentinel := cmp.Or(sentinels[code], sentinels[primary])
	described := fmt.Errorf("%s (code %d)", text, code)
	switch {
	case primary == codeError:
		return errors.New(text)
	case primary == codeConstraint:
		return constraintFault(code, text)
	case primary == codeIO || primary == codeCantOpen:
		if system == 0 {
			return described
		}
		return systemFault(fmt.Errorf("%w: %w", described, system))
	case sentinel != nil && sentinel.Error() == text:
		return fmt.Errorf("%w (code %d)", sentinel, code)
	case sentinel != nil:
		return fmt.Errorf("%w: %w", sentinel, described)
	}
	return described
}

// constraintFault reads the table and columns off the text of the kinds that
// name them; what the others say stays in the text.
func constraintFault(code int, text string) error {
	e := &database.ConstraintError{Kind: "other", Err: errors.New(text)}
	if kind, known := constraints[code]; known {
		e.Kind = kind
	}
	switch e.Kind {
	case "unique", "primarykey", "notnull":
	default:
		return e
	}
	e.Table, e.Columns = database.ConstraintColumns(text)
	return e
}

// systemFault gives an error with a system's error number in its chain the
// sentinel that a caller can match.
func systemFault(err error) error {
	var system syscall.Errno
	if errors.As(err, &system) && systemSentinels[system] != nil {
		return fmt.Errorf("%w: %w", systemSentinels[system], err)
	}
	return err
}
