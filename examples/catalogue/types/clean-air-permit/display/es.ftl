name = Permiso para la zona de bajas emisiones
description = Permiso para circular con un vehículo por la zona de bajas emisiones de una ciudad.
source = La oficina de tráfico de la ciudad: lleve el permiso de circulación del vehículo.

claim-zone = Zona
    .description = La zona por la que puede circular.
claim-registrationNumber = Matrícula
    .description = El número de la placa del vehículo.
claim-emissionClass = Clase de emisiones
    .description = Lo limpio que es el motor.

value-emissionClass-electric = Eléctrico
