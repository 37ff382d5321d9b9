name = Clean-air permit
description = Permission to drive a vehicle in the clean-air zone of a town.
source = The traffic office of the town: bring the registration certificate of the vehicle.

claim-zone = Zone
    .description = The zone in which you may drive.
claim-registrationNumber = Registration number
    .description = The number on the plate of the vehicle.
claim-emissionClass = Emission class
    .description = How clean the engine is.

value-emissionClass-electric = Electric
