// The part of SQLite's C interface (sqlite.org/c3ref/intro.html) that this
// package calls. libSQL keeps that interface, and the library that go-libsql
// links holds its definitions.
//
// The declarations are weak because cgo first links each package alone, where
// the library is not at hand. The real link of a program has it.
#include <stdint.h>
#include <strings.h>
#include <string.h>

typedef struct sqlite3 sqlite3;
typedef struct sqlite3_stmt sqlite3_stmt;
typedef struct sqlite3_backup sqlite3_backup;
typedef int64_t sqlite3_int64;
typedef uint64_t sqlite3_uint64;

#define ENGINE extern __attribute__((weak))

ENGINE int sqlite3_initialize(void);
ENGINE int sqlite3_open_v2(const char *path, sqlite3 **db, int flags, const char *vfs);
ENGINE int sqlite3_close(sqlite3 *db);
ENGINE int sqlite3_db_readonly(sqlite3 *db, const char *schema);
ENGINE int sqlite3_limit(sqlite3 *db, int id, int value);
ENGINE int sqlite3_get_autocommit(sqlite3 *db);
ENGINE sqlite3_int64 sqlite3_changes64(sqlite3 *db);
ENGINE sqlite3_int64 sqlite3_total_changes64(sqlite3 *db);

ENGINE int sqlite3_file_control(sqlite3 *db, const char *schema, int op, void *arg);

ENGINE sqlite3_backup *sqlite3_backup_init(sqlite3 *to, const char *schema, sqlite3 *from, const char *from_schema);
ENGINE int sqlite3_backup_step(sqlite3_backup *backup, int pages);
ENGINE int sqlite3_backup_finish(sqlite3_backup *backup);

ENGINE int sqlite3_errcode(sqlite3 *db);
ENGINE const char *sqlite3_errmsg(sqlite3 *db);
ENGINE const char *sqlite3_errstr(int code);
ENGINE int sqlite3_system_errno(sqlite3 *db);

ENGINE int sqlite3_prepare_v2(sqlite3 *db, const char *sql, int size, sqlite3_stmt **stmt, const char **tail);
ENGINE int sqlite3_step(sqlite3_stmt *stmt);
ENGINE int sqlite3_finalize(sqlite3_stmt *stmt);
ENGINE int sqlite3_reset(sqlite3_stmt *stmt);
ENGINE int sqlite3_clear_bindings(sqlite3_stmt *stmt);
ENGINE int sqlite3_stmt_readonly(sqlite3_stmt *stmt);
ENGINE void sqlite3_interrupt(sqlite3 *db);
ENGINE int sqlite3_limit(sqlite3 *db, int id, int value);

typedef int (*engine_authorizer)(void *arg, int action, const char *a, const char *b, const char *schema, const char *inner);
ENGINE int sqlite3_set_authorizer(sqlite3 *db, engine_authorizer ask, void *arg);

ENGINE int sqlite3_bind_parameter_count(sqlite3_stmt *stmt);
ENGINE const char *sqlite3_bind_parameter_name(sqlite3_stmt *stmt, int index);
ENGINE int sqlite3_bind_null(sqlite3_stmt *stmt, int index);
ENGINE int sqlite3_bind_int64(sqlite3_stmt *stmt, int index, sqlite3_int64 value);
ENGINE int sqlite3_bind_double(sqlite3_stmt *stmt, int index, double value);
ENGINE int sqlite3_bind_zeroblob(sqlite3_stmt *stmt, int index, int size);
ENGINE int sqlite3_bind_blob64(sqlite3_stmt *stmt, int index, const void *bytes, sqlite3_uint64 size, void (*free)(void *));
ENGINE int sqlite3_bind_text64(sqlite3_stmt *stmt, int index, const char *bytes, sqlite3_uint64 size, void (*free)(void *), unsigned char encoding);

ENGINE int sqlite3_column_count(sqlite3_stmt *stmt);
ENGINE const char *sqlite3_column_name(sqlite3_stmt *stmt, int column);
ENGINE int sqlite3_column_type(sqlite3_stmt *stmt, int column);
ENGINE sqlite3_int64 sqlite3_column_int64(sqlite3_stmt *stmt, int column);
ENGINE double sqlite3_column_double(sqlite3_stmt *stmt, int column);
ENGINE const void *sqlite3_column_blob(sqlite3_stmt *stmt, int column);
ENGINE const char *sqlite3_column_text(sqlite3_stmt *stmt, int column);
ENGINE int sqlite3_column_bytes(sqlite3_stmt *stmt, int column);

// engine_prepare is sqlite3_prepare_v2 with the end of the first statement as
// an offset, because C may not hand out a pointer into Go's memory.
static inline int engine_prepare(sqlite3 *db, const char *sql, int size, sqlite3_stmt **stmt, int *end) {
	const char *tail = sql;
	int result = sqlite3_prepare_v2(db, sql, size, stmt, &tail);
	*end = (int)(tail - sql);
	return result;
}

// engine_overwrite begins to give one database the content of another.
static inline sqlite3_backup *engine_overwrite(sqlite3 *to, sqlite3 *from) {
	return sqlite3_backup_init(to, "main", from, "main");
}

// engine_data_version counts the changes that a connection has seen; 35 is
// SQLITE_FCNTL_DATA_VERSION.
static inline int engine_data_version(sqlite3 *db, unsigned int *version) {
	return sqlite3_file_control(db, "main", 35, version);
}

// The database copies what is bound here before these return; -1 is
// SQLITE_TRANSIENT, and 1 is SQLITE_UTF8.
static inline int engine_bind_text(sqlite3_stmt *stmt, int index, const char *bytes, int64_t size) {
	return sqlite3_bind_text64(stmt, index, bytes, (sqlite3_uint64)size, (void (*)(void *))-1, 1);
}

static inline int engine_bind_blob(sqlite3_stmt *stmt, int index, const void *bytes, int64_t size) {
	return sqlite3_bind_blob64(stmt, index, bytes, (sqlite3_uint64)size, (void (*)(void *))-1);
}

// engine_rows is what engine_fetch found.
typedef struct {
	int columns;  // of each row
	int rows;     // packed
	int64_t size; // bytes that they take
	int64_t need; // bytes that the current row takes, which did not fit; 0 when there is none
} engine_rows;

// engine_size is how many bytes the current row takes: for each value its type
// and eight bytes, or its length in four and its bytes.
static inline int64_t engine_size(sqlite3_stmt *stmt, int columns) {
	int64_t size = 0;
	for (int i = 0; i < columns; i++) {
		switch (sqlite3_column_type(stmt, i)) {
		case 1: case 2: size += 9; break;
		case 3: sqlite3_column_text(stmt, i); size += 5 + (int64_t)sqlite3_column_bytes(stmt, i); break;
		case 4: sqlite3_column_blob(stmt, i); size += 5 + (int64_t)sqlite3_column_bytes(stmt, i); break;
		default: size++;
		}
	}
	return size;
}

static inline void engine_pack(sqlite3_stmt *stmt, int columns, unsigned char *to) {
	for (int i = 0; i < columns; i++) {
		int type = sqlite3_column_type(stmt, i);
		*to++ = (unsigned char)type;
		if (type == 1) {
			sqlite3_int64 value = sqlite3_column_int64(stmt, i);
			memcpy(to, &value, 8);
			to += 8;
		} else if (type == 2) {
			double value = sqlite3_column_double(stmt, i);
			memcpy(to, &value, 8);
			to += 8;
		} else if (type == 3 || type == 4) {
			const void *bytes = type == 3 ? (const void *)sqlite3_column_text(stmt, i) : sqlite3_column_blob(stmt, i);
			int32_t length = sqlite3_column_bytes(stmt, i);
			memcpy(to, &length, 4);
			if (length > 0) {
				memcpy(to + 4, bytes, length);
			}
			to += 4 + length;
		}
	}
}

// engine_fetch steps and packs rows until they end or the next does not fit:
// one call from Go for many rows. It goes on from what an earlier call left in
// found, which begins as zero; 100 is SQLITE_ROW. Columns are counted after a
// step, which compiles the statement again when the schema has changed.
static inline int engine_fetch(sqlite3_stmt *stmt, unsigned char *to, int64_t capacity, engine_rows *found) {
	int current = found->need != 0;
	found->rows = 0;
	found->size = found->need = 0;
	for (;; current = 0) {
		if (!current) {
			int result = sqlite3_step(stmt);
			found->columns = sqlite3_column_count(stmt);
			if (result != 100) {
				return result;
			}
		}
		int64_t size = engine_size(stmt, found->columns);
		if (found->size + size > capacity) {
			found->need = size;
			return 100;
		}
		engine_pack(stmt, found->columns, to + found->size);
		found->size += size;
		found->rows++;
	}
}

// engine_may_read lets a statement that is being compiled select (21), read a
// column (20), recurse (33) and call a function (31), but none that loads code.
// Everything else is denied (1): writing, ATTACH, transactions, and pragmas,
// those behind table-valued functions too.
static inline int engine_may_read(void *arg, int action, const char *a, const char *b, const char *schema, const char *inner) {
	(void)arg, (void)schema, (void)inner;
	switch (action) {
	case 20: return a != 0 && strncasecmp(a, "pragma_", 7) == 0;
	case 21: case 33: return 0;
	case 31: return b == 0 || strcasecmp(b, "load_extension") == 0;
	}
	return 1;
}

// engine_confine makes a connection compile statements that read alone, or
// lifts that again.
static inline void engine_confine(sqlite3 *db, int on) {
	sqlite3_set_authorizer(db, on ? engine_may_read : 0, 0);
}
