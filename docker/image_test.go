package docker

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheSameFilesMakeTheSameArchive(t *testing.T) {
	files := map[string][]byte{"lbtest": []byte("program")}
	first, err := archived(files)
	if err != nil {
		t.Fatal(err)
	}
	second, err := archived(files)
	if err != nil || !bytes.Equal(first, second) {
		t.Errorf("two archives of one program differ: %v", err)
	}
}

func TestOnlyAProgramThatStandsAloneGoesIntoAnEmptyImage(t *testing.T) {
	if testing.Short() {
		t.Skip("builds programs")
	}
	dir := t.TempDir()
	source := filepath.Join(dir, "main.go")
	if err := os.WriteFile(source, []byte("package main\n\nimport _ \"net\"\n\nfunc main() {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "program")
	build := exec.Command("go", "build", "-o", program, source)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if ok, err := standsAlone(program); !ok || err != nil {
		t.Errorf("built without C: %v, %v", ok, err)
	}
	if ok, err := standsAlone("/bin/sh"); ok || err != nil {
		t.Errorf("a program with a loader: %v, %v", ok, err)
	}
	if _, err := standsAlone(source); err == nil || !strings.Contains(err.Error(), "this program") {
		t.Errorf("no program at all: %v", err)
	}
}

func TestAProgramWithoutItsSourceSaysWhatToDo(t *testing.T) {
	if ok, err := standsAlone("/proc/self/exe"); ok || err != nil {
		t.Skip("this test program stands alone and needs no source")
	}
	t.Chdir(t.TempDir())
	_, err := findProgram(t.Context())
	if err == nil || !strings.Contains(err.Error(), "CGO_ENABLED=0") {
		t.Errorf("got %v", err)
	}
}
