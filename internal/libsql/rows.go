package libsql

/*
#include "engine.h"
*/
import "C"

import (
	"encoding/binary"
	"math"
	"unsafe"

	"github.com/tenantops/reconciler/internal/database"
)

// Rows cross from the engine in batches. Most statements have none, or one
// short row, so the first batch is small.
const (
	firstBatch = 256
	batchGrows = 8 // times the one before
	lastBatch  = 64 << 10
)

// rows runs the statement to its end.
func (s *statement) rows() (database.Rows, error) {
	var rows database.Rows
	var found C.engine_rows
	var buffer []byte
	for size := firstBatch; ; size = min(size*batchGrows, lastBatch) {
		code := C.engine_fetch(s.stmt, (*C.uchar)(unsafe.SliceData(buffer)), C.int64_t(len(buffer)), &found)
		if code != codeRow && code != codeDone {
			return database.Rows{}, s.conn.fault(code)
		}
		rows.Values = unpack(rows.Values, buffer[:found.size], int(found.rows), int(found.columns))
		if code == codeDone {
			rows.Columns = s.columns(int(found.columns))
			return rows, nil
		}
		buffer = make([]byte, max(size, int(found.need)))
	}
}

func (s *statement) columns(count int) []string {
	var names []string
	for i := range count {
		names = append(names, C.GoString(C.sqlite3_column_name(s.stmt, C.int(i))))
	}
	return names
}

// unpack appends the rows that a batch holds. Texts share the memory of the
// batch, which nobody writes to again.
func unpack(to [][]any, batch []byte, rows, columns int) [][]any {
	values := make([]any, rows*columns)
	for i := range values {
		values[i], batch = cell(batch)
	}
	for i := range rows {
		to = append(to, values[i*columns:(i+1)*columns:(i+1)*columns])
	}
	return to
}

// cell takes the first value off a batch.
func cell(batch []byte) (value any, rest []byte) {
	kind, batch := batch[0], batch[1:]
	switch kind {
	case typeInteger:
		return int64(binary.NativeEndian.Uint64(batch)), batch[8:]
	case typeFloat:
		return math.Float64frombits(binary.NativeEndian.Uint64(batch)), batch[8:]
	case typeText, typeBlob:
		length := binary.NativeEndian.Uint32(batch)
		bytes, rest := batch[4:4+length], batch[4+length:]
		if kind == typeText {
			return unsafe.String(unsafe.SliceData(bytes), len(bytes)), rest
		}
		return append([]byte{}, bytes...), rest
	}
	return nil, batch
}
