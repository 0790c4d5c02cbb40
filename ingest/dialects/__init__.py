"""One file a foreign format: Segment, GA4, Shopify, CSV … become events; rules give bare titles a category."""
