"""What answers questions: engines over events in memory, a folder of segments, a cluster."""
