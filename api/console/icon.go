package console

import "html/template"

// icon is a drawing of the navigation, 16 by 16.
func icon(name string) template.HTML {
	shapes := map[string]string{
		"home":        `<path d="M2.5 7.5 8 3l5.5 4.5V13h-4V9.5h-3V13h-4z"/>`,
		"tunes":       `<path d="M3 4h6m3 0h1M3 8h1m3 0h6M3 12h5m3 0h2"/><circle cx="10.5" cy="4" r="1.5"/><circle cx="5.5" cy="8" r="1.5"/><circle cx="9.5" cy="12" r="1.5"/>`,
		"leaderboard": `<path d="M2.5 13V9h3v4m0-6h4v6m0-9.5h4V13M2 13h12"/>`,
		"compare":     `<path d="M6 3v10M10 3v10M2.5 5H6m-3.5 6H6m4-6h3.5M10 11h3.5"/>`,
		"wfo":         `<path d="M2 4h5m1.5 0H11M4 8h5m1.5 0H13M6 12h5m1.5 0H14"/>`,
		"datasets":    `<ellipse cx="8" cy="4" rx="5" ry="2"/><path d="M3 4v8c0 1.1 2.2 2 5 2s5-.9 5-2V4M3 8c0 1.1 2.2 2 5 2s5-.9 5-2"/>`,
		"schedules":   `<path d="M2.500 4h11v9.500h-11zM2.500 7h11M5.500 2.500v3M10.500 2.500v3"/>`,
		"strategies":  `<path d="M5.5 4.500 2 8l3.500 3.500M10.500 4.500 14 8l-3.500 3.500M9 3 7 13"/>`,
		"runs":        `<path d="M4 3l9 5-9 5z"/>`,
		"plans":       `<path d="M3 3.500h10M3 8h6M3 12.500h8"/><path d="M11.500 6.500 13 8l-1.500 1.500"/>`,
		"audit":       `<path d="M4 2.500h8v11H4zM6 5.500h4M6 8h4M6 10.500h2"/>`,
		"jobs":        `<path d="M2.500 5.500c2-2 3.500-2 5.500 0s3.500 2 5.500 0M2.500 10.500c2-2 3.500-2 5.500 0s3.500 2 5.500 0"/>`,
		"document":    `<path d="M4 2.500h5l3 3v8H4zM9 2.500v3h3"/>`,
		"search":      `<path d="M2.500 3h5l6 6-5 5-6-6z"/><circle cx="5.500" cy="6" r="1"/>`,
		"query":       `<circle cx="7" cy="7" r="4"/><path d="m10 10 3.5 3.5"/>`,
		"ingestion":   `<path d="M8 2v7m-3-3 3 3 3-3M2.5 10.500V13h11v-2.500"/>`,
		"coverage":    `<circle cx="8" cy="8" r="5.500"/><path d="M8 2.500V8l4 3.500"/>`,
		"events":      `<path d="M2 8h3l2-5 2.500 10L11.500 8H14"/>`,
		"health":      `<path d="M8 13.500S2.500 10 2.500 6.200A2.900 2.900 0 0 1 8 4.800a2.900 2.900 0 0 1 5.500 1.400C13.500 10 8 13.500 8 13.500z"/>`,
		"retention":   `<path d="M3 4.500h10M6.500 4.500V3h3v1.500M4.500 4.500 5 13.500h6l.500-9"/>`,
		"webhooks":    `<circle cx="4" cy="11.500" r="2"/><circle cx="12" cy="11.500" r="2"/><circle cx="8" cy="4" r="2"/><path d="M7 6 5 9.700M9 6l2 3.700M6 11.500h4"/>`,
		"workspaces":  `<path d="M2.500 2.500h4.500v4.500h-4.500zM9 2.500h4.500v4.500H9zM2.500 9h4.500v4.500h-4.500zM9 9h4.500v4.500H9z"/>`,
	}
	return template.HTML(`<svg class="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false">` + shapes[name] + `</svg>`)
}
