// Package arch holds no code: its tests keep the rooms of the house apart. They ask go list who imports whom, and read the
// sources for what libraries must not do.
package arch
