//go:build !unix

package notebook

import "errors"

func makePipe(string) error {
	return errors.New("this system has no named pipes; run the notebook in JupyterLab")
}
