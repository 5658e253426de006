"""The few pages people look at. Every value in them is escaped; they load nothing and run no script."""
