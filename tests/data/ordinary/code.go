func (r *Room[T]) Message(ctx context.Context, in <-chan T, out chan<- T) (err error) {
	for m := range in {
		if users := r.users[m.ID]; len(users) > 0 && users[0] < r.max { out <- m }
	}
	return fmt.Errorf("<%s>: %w [%d]", r.name, err, 1<<10)
}
