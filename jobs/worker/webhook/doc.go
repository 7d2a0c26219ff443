// Package webhook posts a workspace's events to the addresses that subscribed to them, by the Standard Webhooks
// scheme. A webhook's messages are sent one after the other, each only after the one before was accepted, and its
// place in the log moves under the job's lease: what a killed worker had sent and not recorded is sent again, with
// the same id. No transaction is open while a receiver is asked.
//
// A Dispatcher looks once a second which webhooks are behind, so what writes events does nothing for
// subscribers, and a periodic job of River's would write three events each second.
package webhook
