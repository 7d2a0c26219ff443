package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"text/tabwriter"

	"millrace/api/types"
)

// fleetDemandCmd is the verb `admin fleet demand`.
type fleetDemandCmd struct {
	adminFlags
	Queue string `help:"Print the slots wanted of this queue alone, as a number."`
}

// Run prints what the queues could use.
func (c *fleetDemandCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	demand, err := api.FleetDemand(ctx)
	if err != nil {
		return err
	}
	if c.Queue != "" {
		i := slices.IndexFunc(demand.Queues, func(q types.QueueDemand) bool { return q.Queue == c.Queue })
		if i < 0 {
			return configError{fmt.Errorf("--queue: there is no queue %q", c.Queue)}
		}
		_, err = fmt.Fprintln(env.stdout, demand.Queues[i].SlotsWanted)
		return err
	}
	out := tabwriter.NewWriter(env.stdout, 0, 0, 2, ' ', 0)
	writeRow(out, []string{"queue", "slots wanted", "slots", "workers", "waiting", "running", "backlog"})
	for _, q := range demand.Queues {
		writeRow(out, []string{q.Queue, strconv.FormatInt(q.SlotsWanted, 10), strconv.Itoa(q.Slots), strconv.Itoa(q.Workers),
			strconv.FormatInt(q.Waiting, 10), strconv.FormatInt(q.Running, 10), strconv.FormatInt(q.Backlog, 10)})
	}
	return out.Flush()
}
