package evtx

const (
	ExportedXML  = exportedXML
	WevtutilText = wevtutilText
	ListText     = listText
)

// For the tests that also import evtxtest.
var (
	ReadLog = readLog
	Judge   = judge
	Compare = compare
)
