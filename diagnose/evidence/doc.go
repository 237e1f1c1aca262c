// Package evidence finds out from a device's own records why its setup failed. It
// reads what a technician has: the archive that Windows makes (MDMDiagReport as .zip
// or .cab), a folder, event logs as .evtx or exported as XML or text, registry
// exports, the output of certreq, dsregcmd and tpmtool, logs, profiles, device lists,
// captures of traffic (HTTP Archives, access logs of proxies, lists of times and
// hosts), or the text of a screen.
//
//	var c evidence.Case
//	if err := c.AddPath(ctx, "MDMDiagReport.zip"); err != nil {
//		return err
//	}
//	for _, f := range c.Report().Findings {
//		fmt.Println(f)
//	}
//
// A [Report] has the sources that were read, one time line over all of them, and
// findings: what failed first, what followed from that, on which evidence that rests,
// what was looked for in vain, what to collect next and what helps. [Rules] lists what
// can be found; the table is rules.txt beside this file. Codes and events are
// explained by package diagnose.
//
// Evidence is hostile until it is read: sizes, counts, nesting and ratios are limited,
// nothing is written to disk, and names in an archive are labels only. What is damaged
// is named in its [Source], and the rest is read. Personal data is replaced unless
// Case.Personal is set.
package evidence
