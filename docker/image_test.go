package docker

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/client"
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

// gone removes an image at the end of a test, which may have lost it before.
func gone(t *testing.T, image string) {
	t.Cleanup(func() {
		engine, err := connect(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		defer engine.Close()
		engine.ImageRemove(context.Background(), image, client.ImageRemoveOptions{Force: true}) // that there is none is what is wanted
	})
}

// TestImagesOfOtherBuildsGo has an image that nobody uses, one that a run holds, and this program's own.
func TestImagesOfOtherBuildsGo(t *testing.T) {
	rt := open(t)
	closed(t, start(t, rt))
	old, held := imageName+":test-old", imageName+":test-held"
	for i, image := range []string{old, held} {
		if err := buildOf(t.Context(), []byte{byte(i)}, image); err != nil {
			t.Fatal(err)
		}
		gone(t, image)
	}
	holder, err := rt.hold(t.Context(), held)
	if err != nil {
		t.Fatal(err)
	}
	removed, err := tidyImages(t.Context(), rt.engine, rt.image)
	if err != nil || !slices.Contains(removed, "image "+old) || slices.Contains(removed, "image "+held) {
		t.Errorf("removed %v, %v; want %s and not %s", removed, err, old, held)
	}
	for image, want := range map[string]bool{old: false, held: true, rt.image: true} {
		if _, err := rt.engine.ImageInspect(t.Context(), image); (err == nil) != want {
			t.Errorf("%s: %v; want it there: %v", image, err, want)
		}
	}
	if _, err := rt.engine.ContainerRemove(t.Context(), holder, client.ContainerRemoveOptions{}); err != nil {
		t.Fatal(err)
	}
	// The next run finds it.
	next := newTestRuntime()
	defer closed(t, next)
	closed(t, start(t, next))
	if _, err := next.engine.ImageInspect(t.Context(), held); err == nil {
		t.Errorf("%s outlives the beginning of a run", held)
	}
}

// TestAnImageThatLostItsNameGoes builds two images of one name, as two runs do that begin at the same time.
func TestAnImageThatLostItsNameGoes(t *testing.T) {
	rt := open(t)
	closed(t, start(t, rt))
	const image = imageName + ":test-twice"
	gone(t, image)
	if err := buildOf(t.Context(), []byte("first"), image); err != nil {
		t.Fatal(err)
	}
	first, err := rt.engine.ImageInspect(t.Context(), image)
	if err != nil {
		t.Fatal(err)
	}
	if err := buildOf(t.Context(), []byte("second"), image); err != nil {
		t.Fatal(err)
	}
	if _, err := rt.engine.ImageInspect(t.Context(), first.ID); err != nil {
		t.Fatalf("the first image went with its name: %v", err)
	}
	for deadline := time.Now().Add(3 * naming); ; time.Sleep(time.Second) {
		removed, err := tidyImages(t.Context(), rt.engine, rt.image)
		if err != nil {
			t.Fatal(err)
		}
		if slices.Contains(removed, "image "+first.ID) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s outlives its name", first.ID)
		}
	}
}
