package preview

import (
	"fmt"
	"os"
	"path/filepath"
)

// HoldScratch makes a copy's file as a rehearsal does, says so, and waits to be
// killed.
func HoldScratch(data string) error {
	s, err := openScratch(scratchDir(data))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(s.dir, "acme.db"), []byte("copy"), 0o600); err != nil {
		return err
	}
	fmt.Println("ready")
	select {}
}
