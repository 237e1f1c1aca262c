package drs

// For known answers, which have contexts of their own.
var (
	Derive         = derive
	SignSession    = signSession
	OpenSessionKey = openSessionKey
	OpenReply      = openReply
)

// Conversation is the label of the protocol.
const Conversation = labelConversation
