// Package admission decides which of a workspace's work may run. A workspace has a cap on the tunes
// and walk-forwards that it may have running; what is over it waits with its jobs held back, and is
// released when something of the workspace ends or its cap is raised.
//
// Its functions take the caller's transaction: admission is part of what a submission or an end does.
package admission
