"""In which situation somebody asks: device, traffic source, weather, season, visitor, each with its origin."""
