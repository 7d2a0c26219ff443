package schedules

// SetClock has the store read the time with an SQL expression.
func (s *Store) SetClock(sql string) { s.now = sql }
