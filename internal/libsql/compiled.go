package libsql

/*
#include "engine.h"
*/
import "C"

// compiled returns a statement to run, one that was kept if there is one: of a
// short write, compiling it is half of what it costs.
func (c *Conn) compiled(sql string) (*statement, error) {
	if s := c.kept[sql]; s != nil {
		delete(c.kept, sql) // nobody else may have it meanwhile
		return s, nil
	}
	return c.prepare(sql)
}

// keep puts a statement back that has run, or ends it. One without parameters
// is hardly ever run again as it is. A kept one holds no lock, and the engine
// compiles it anew when the schema has changed.
func (c *Conn) keep(sql string, s *statement) {
	if c.keeps == 0 || C.sqlite3_bind_parameter_count(s.stmt) == 0 {
		s.finalize()
		return
	}
	C.sqlite3_reset(s.stmt)
	C.sqlite3_clear_bindings(s.stmt)
	if len(c.kept) >= c.keeps {
		c.drop() // there are few texts, unless somebody makes them up
	}
	c.kept[sql] = s
}

// drop ends what is kept.
func (c *Conn) drop() {
	for _, s := range c.kept {
		s.finalize()
	}
	c.kept = map[string]*statement{}
}
