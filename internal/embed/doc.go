// Package embed draws points of many dimensions in two: principal components and t-SNE. Both give the same picture for
// the same points and seed. It knows nothing of what the points are.
package embed
