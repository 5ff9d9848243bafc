// Package arch holds what the folders promise: who may import whom, which folder owns which outside module,
// and that what is typed on the command line is the name of a file. It consists of tests only.
package arch
