package libsql

/*
#include "engine.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"unsafe"

	"github.com/tenantops/reconciler/internal/database"
)

// Types of a stored value, sqlite.org/c3ref/c_blob.html.
const (
	typeInteger = 1
	typeFloat   = 2
	typeText    = 3
	typeBlob    = 4
)

// statement is one compiled statement of a connection. It must be finalized
// before the connection can close.
type statement struct {
	conn *Conn
	stmt *C.sqlite3_stmt
}

// prepare compiles the one statement that the text holds.
func (c *Conn) prepare(sql string) (*statement, error) {
	if strings.IndexByte(sql, 0) >= 0 {
		return nil, errors.New("statement holds a zero byte, where the database would stop reading")
	}
	if sql == "" || len(sql) > math.MaxInt32 {
		return nil, fmt.Errorf("text of %d bytes is not a statement", len(sql))
	}
	s := &statement{conn: c}
	var end C.int
	code := C.engine_prepare(c.db, (*C.char)(unsafe.Pointer(unsafe.StringData(sql))), C.int(len(sql)), &s.stmt, &end)
	if code != codeOK {
		return nil, c.fault(code)
	}
	if s.stmt == nil {
		return nil, errors.New("text holds no statement")
	}
	if rest, err := database.Split(sql[end:]); err != nil || len(rest) > 0 {
		s.finalize()
		return nil, errors.New("text holds more than one statement, and only the first would run; split it")
	}
	return s, nil
}

func (s *statement) finalize() { C.sqlite3_finalize(s.stmt) }

// bind gives the statement its arguments. Too few would leave NULLs behind
// silently, and named ones depend on an order that the text does not show.
func (s *statement) bind(args []any) error {
	count := int(C.sqlite3_bind_parameter_count(s.stmt))
	for i := 1; i <= count; i++ {
		if name := C.sqlite3_bind_parameter_name(s.stmt, C.int(i)); name != nil && C.GoString(name)[0] != '?' {
			return fmt.Errorf("parameter %s is named; use ? or ?%d", C.GoString(name), i)
		}
	}
	if count != len(args) {
		return fmt.Errorf("statement has %d parameters and got %d arguments", count, len(args))
	}
	for i, arg := range args {
		if err := s.bindOne(C.int(i+1), arg); err != nil {
			return fmt.Errorf("argument %d: %w", i+1, err)
		}
	}
	return nil
}

func (s *statement) bindOne(index C.int, arg any) error {
	var code C.int
	switch value := arg.(type) {
	case nil:
		code = C.sqlite3_bind_null(s.stmt, index)
	case int64:
		code = C.sqlite3_bind_int64(s.stmt, index, C.sqlite3_int64(value))
	case bool:
		code = C.sqlite3_bind_int64(s.stmt, index, C.sqlite3_int64(boolean(value)))
	case float64:
		if math.IsNaN(value) {
			return errors.New("is not a number, which the database would store as NULL")
		}
		code = C.sqlite3_bind_double(s.stmt, index, C.double(value))
	case string:
		if err := database.CheckText(value); err != nil {
			return err
		}
		code = s.bindText(index, value)
	case []byte:
		code = s.bindBlob(index, value)
	default:
		return fmt.Errorf("is a %T; give nil, int64, float64, string, []byte or bool", arg)
	}
	if code != codeOK {
		return s.conn.fault(code)
	}
	return nil
}

func boolean(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func (s *statement) bindText(index C.int, text string) C.int {
	if text == "" {
		text = "\x00" // an address, of which no byte is read
		return C.engine_bind_text(s.stmt, index, (*C.char)(unsafe.Pointer(unsafe.StringData(text))), 0)
	}
	return C.engine_bind_text(s.stmt, index, (*C.char)(unsafe.Pointer(unsafe.StringData(text))), C.int64_t(len(text)))
}

func (s *statement) bindBlob(index C.int, blob []byte) C.int {
	if len(blob) == 0 {
		return C.sqlite3_bind_zeroblob(s.stmt, index, 0)
	}
	return C.engine_bind_blob(s.stmt, index, unsafe.Pointer(unsafe.SliceData(blob)), C.int64_t(len(blob)))
}
