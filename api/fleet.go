package api

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"millrace/api/types"
)

// fleetRoutes are what those who run the fleet ask for.
func (s *Server) fleetRoutes() []route {
	return []route{
		{http.MethodGet, "/admin/fleet/demand", admin, s.fleetDemand, bodyLimit, about{
			summary: "How many slots each queue could use, and how many it has, for what starts and stops workers", answer: types.FleetDemand{}}},
	}
}

// fleetDemand handles GET /admin/fleet/demand.
func (s *Server) fleetDemand(c echo.Context) error {
	demand, err := s.store.Upkeep.Demand(c.Request().Context())
	if err != nil {
		return err
	}
	view := types.FleetDemand{Queues: make([]types.QueueDemand, len(demand.Queues))}
	if !demand.AsOf.IsZero() {
		view.AsOf = &demand.AsOf
	}
	for i, q := range demand.Queues {
		view.Queues[i] = types.QueueDemand{
			Queue: q.Queue, SlotsWanted: q.Wanted(), Slots: q.Slots, Workers: q.Workers,
			Waiting: q.Waiting, Running: q.Running, Backlog: q.Backlog,
		}
	}
	return writeJSON(c, http.StatusOK, "application/json", view)
}
