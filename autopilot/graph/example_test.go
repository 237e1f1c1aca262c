package graph_test

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"
	"time"

	"github.com/whiteglove/whiteglove/autopilot"
	"github.com/whiteglove/whiteglove/autopilot/autopilottest"
	"github.com/whiteglove/whiteglove/autopilot/graph"
)

// A device is registered, and the program sees how far it is. For the real service
// leave BaseURL empty, give a Token, and leave Pause out.
func ExampleRegistration() {
	service := &autopilottest.Server{}
	server := httptest.NewServer(service)
	defer server.Close()
	other := autopilottest.Device{Serial: "MOCK-0002"}
	service.Elsewhere(other.Hash())

	r := &graph.Registration{
		Client: &graph.Client{
			BaseURL: server.URL,
			Token:   func(context.Context) (string, error) { return "token", nil },
		},
		Until: graph.StageImported,
		Pause: func(graph.Stage, int) time.Duration { return 20 * time.Millisecond },
		Observe: func(e graph.Event) {
			if e.Row == 0 {
				fmt.Println(e.Serial, e.Stage, e.Status)
			}
		},
	}
	results, err := r.Run(context.Background(), []autopilot.Row{
		{Hash: autopilottest.Device{}.Text(), GroupTag: "Front desk"},
		{Hash: other.Text()},
	})
	fmt.Println(err)
	for _, res := range results {
		if res.Err == nil {
			fmt.Println(res.Stage)
		}
	}
	// Output:
	// MOCK-0001 submitted unknown
	// MOCK-0001 importing unknown
	// MOCK-0001 imported complete
	// graph: Register: 1 of 2 devices: graph: Import: ZTD 808/ZtdDeviceAssignedToOtherTenant
	// imported
}

// What there is of a device is listed before it is deleted.
func ExampleClient_PlanCleanUp() {
	service := &autopilottest.Server{}
	server := httptest.NewServer(service)
	defer server.Close()
	service.AddManaged(graph.ManagedDevice{ID: "0001", Serial: "MOCK-0001", Name: "PC-1"})
	c := &graph.Client{
		BaseURL: server.URL,
		Token:   func(context.Context) (string, error) { return "token", nil },
	}
	plan, err := c.PlanCleanUp(context.Background(), "MOCK-0001")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(plan)
	n, err := c.CleanUp(context.Background(), plan)
	fmt.Println(n, err)
	// Output:
	// management   0001 "PC-1"
	// 1 <nil>
}
