"""From rings to events: cursors are drained, counted, merged by time and given their names."""
