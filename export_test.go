package whiteglove

// Pause is the wait between two tries.
var Pause = pause
