"""Who sends what, and when: schedules of arrivals, and the clients that follow them."""
